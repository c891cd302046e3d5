// What there is to read of a message that is more than text: a picture, a location, a kind that nobody knows yet.
//
// Relies on: `metadata`, which has the message as the provider sent it (docs/INTEGRATION.md, "A WhatsApp webhook").

import type { Message } from "@rowcast/client";
import { texts } from "./texts";

/** Kinds whose text says all there is. */
const PLAIN = new Set(["text", "button", "interactive", "system"]);

/** What a message is, in words, unless it is text; and its text, which may be empty where there are such words. */
export interface Content {
  kind: string | null;
  text: string;
}

export function contentOf(message: Pick<Message, "body" | "metadata">): Content {
  // A row that is too large comes with its ids alone.
  if ((message.body as string | undefined) === undefined) return { kind: null, text: texts.truncated };
  const metadata = message.metadata as Record<string, unknown> | null | undefined;
  const type = typeof metadata?.type === "string" ? metadata.type : null;
  const written = message.body.trim() ? message.body : "";
  if (type === null || PLAIN.has(type)) return written ? { kind: null, text: written } : { kind: texts.noText, text: "" };
  // The webhook writes the type in brackets where there is nothing to read.
  const text = written && written !== `[${type}]` ? written : captionOf(metadata, type);
  const known: string | undefined = Object.hasOwn(texts.kinds, type) ? texts.kinds[type] : undefined;
  return { kind: known ?? texts.unknownKind(type), text };
}

/** The same in one line, for the list. */
export function previewOf(message: Pick<Message, "body" | "metadata">): string {
  const { kind, text } = contentOf(message);
  return kind && text ? `${kind}: ${text}` : (kind ?? text);
}

function captionOf(metadata: Record<string, unknown> | null | undefined, type: string): string {
  const caption = (metadata?.[type] as { caption?: unknown } | null | undefined)?.caption;
  return typeof caption === "string" ? caption.trim() : "";
}
