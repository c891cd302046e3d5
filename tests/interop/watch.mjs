// Prints every event of one conversation, with the stock client: node watch.mjs [contact id] [server]
import { io } from "socket.io-client";

const [contactId = "42", server = "http://127.0.0.1:3001"] = process.argv.slice(2);
const socket = io(server);
socket.on("connect", () => {
  isAway = false;
  socket.emit("join:conversation", contactId, (answer) => console.log("joined", JSON.stringify(answer)));
});
let isAway = false;
socket.on("connect_error", (error) => {
  // It is tried again and again; once is enough to know.
  if (!isAway) console.log(`no connection to ${server}: ${error.message}; trying again`);
  isAway = true;
});
socket.on("disconnect", (reason) => console.log("disconnected:", reason));
socket.onAny((event, payload) => console.log(event, JSON.stringify(payload)));
