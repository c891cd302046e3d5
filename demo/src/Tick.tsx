import type { MessageStatus } from "@rowcast/client";
import { texts } from "./texts";

const ONE = "m2 6.5 3.5 3.5L13 2";

const PATHS: Record<MessageStatus, string> = {
  queued: "M9 1.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9ZM9 3.5V6l1.8 1.2",
  sent: ONE,
  delivered: `${ONE}M9 9l1 1 7-8`,
  read: `${ONE}M9 9l1 1 7-8`,
  failed: "M9 1a5 5 0 1 0 0 10A5 5 0 0 0 9 1Zm0 2.2V6.5M9 8.7v.1",
};

/** How far an outbound message has come. */
export function Tick({ status }: { status: MessageStatus }) {
  return (
    <span className="tick" data-tick={status}>
      <TickIcon status={status} />
      <span className="visually-hidden">{texts.ticks[status]}</span>
    </span>
  );
}

/** The same without its words. */
export function TickIcon({ status }: { status: MessageStatus }) {
  return (
    <svg className="tick-icon" data-kind={status} viewBox="0 0 18 12" aria-hidden="true">
      <path d={PATHS[status]} />
    </svg>
  );
}
