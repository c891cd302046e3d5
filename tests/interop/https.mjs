// Serves one text over HTTPS, for the integration tests: https.mjs CERTIFICATE KEY TEXT. Prints its port, and a line per request.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

const [, , cert, key, body] = process.argv;
const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
  console.log(request.url);
  response.setHeader("content-type", "application/json");
  response.end(body);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
