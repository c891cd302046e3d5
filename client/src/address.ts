/** Where a server is, in the two parts that Socket.IO takes apart. */
export interface Address {
  /** Scheme, host and port. */
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
  const [all, rest, path = ""] = /^(?:ws|http)(s?:\/\/[^/?#@\s]+)([^?#\s]*?)\/*$/i.exec(url) ?? [];
  if (!all) throw new TypeError(`url: "${url}" is no ws://, wss://, http:// or https:// address`);
  return { origin: `http${rest}`, path };
}
