// Makes keys and tokens with npm's jose, for the integration tests.
//
// One JSON line on stdin, one on stdout:
//   {keys: ["RS256", ...]}                     one pair each: [{alg, private, public, jwk}], PEM and a public JWK with a kid
//   {tokens: [{alg, key, header?, claims}]}    signed: [token]; key: a PEM private key, or the secret itself for HS256
import { createHash } from "node:crypto";
import { text } from "node:stream/consumers";
import * as jose from "jose";

async function pair(alg) {
  const { privateKey, publicKey } = await jose.generateKeyPair(alg, { extractable: true });
  const jwk = await jose.exportJWK(publicKey);
  const kid = createHash("sha256").update(JSON.stringify(jwk)).digest("hex").slice(0, 8);
  return {
    alg,
    private: await jose.exportPKCS8(privateKey),
    public: await jose.exportSPKI(publicKey),
    jwk: { ...jwk, kid, alg, use: "sig" },
  };
}

async function sign({ alg, key, header = {}, claims }) {
  const signing = alg === "HS256" ? new TextEncoder().encode(key) : await jose.importPKCS8(key, alg);
  return new jose.SignJWT(claims).setProtectedHeader({ alg, typ: "JWT", ...header }).sign(signing);
}

const asked = JSON.parse(await text(process.stdin));
const made = asked.keys ? asked.keys.map(pair) : asked.tokens.map(sign);
process.stdout.write(JSON.stringify(await Promise.all(made)));
