/** Where a server is, in the two ways that it is asked. */
export interface Address {
  /** Scheme, host and port: what Socket.IO takes. */
  origin: string;
  /** What stands before `/socket.io` and `/api`: a proxy's path, or nothing. */
  path: string;
}

/**
 * Reads `ws://`, `wss://`, `http://` and `https://` addresses.
 *
 * @throws TypeError with what was given and what is accepted
 */
export function parseAddress(url: string): Address {
  const match = /^(ws|http)(s?):\/\/([^/?#@\s]+)([^?#\s]*)$/i.exec(url.trim());
  if (!match) {
    throw new TypeError(`Rowcast: url is ${JSON.stringify(url)}; accepted are ws://, wss://, http:// and https:// with a host`);
  }
  const [, , secure = "", host = "", path = ""] = match;
  return { origin: `http${secure.toLowerCase()}://${host}`, path: path.replace(/\/+$/, "") };
}
