/** What stands for a server that gave no answer of its own. */
export const UNREACHABLE = "unreachable";

/** Why something failed: the server's code, or that there was none. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  // Those of the browser have a number.
  return typeof code === "string" ? code : UNREACHABLE;
}
