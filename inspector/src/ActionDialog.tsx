// One action: what it needs is filled in, it is asked once whether it is meant, and then it is done.

import { useEffect, useRef, useState, type FormEvent } from "react";
import { post, reasonOf } from "./api";
import { texts } from "./texts";

export type Action =
  | { kind: "emit"; room: string }
  | { kind: "disconnect"; socket: number }
  | { kind: "revoke"; subject?: string };

type Stage = "filling" | "asking" | "doing" | "done";

export function ActionDialog({ action, close }: { action: Action; close: (wasDone: boolean) => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [stage, setStage] = useState<Stage>(action.kind === "disconnect" ? "asking" : "filling");
  const [problem, setProblem] = useState<string | null>(null);
  const [room, setRoom] = useState(action.kind === "emit" ? action.room : "");
  const [event, setEvent] = useState("");
  const [data, setData] = useState("{}");
  const [subject, setSubject] = useState(action.kind === "revoke" ? (action.subject ?? "") : "");
  const [reason, setReason] = useState("");
  useEffect(() => dialog.current?.showModal(), []);

  function fill(submitted: FormEvent): void {
    submitted.preventDefault();
    if (action.kind === "emit" && !isJson(data)) return setProblem(texts.notJson);
    setProblem(null);
    setStage("asking");
  }

  async function act(): Promise<void> {
    setStage("doing");
    try {
      await post(action.kind, body());
      setStage("done");
    } catch (error) {
      setProblem(texts.failed(reasonOf(error)));
      setStage("asking");
    }
  }

  function body(): object | string {
    switch (action.kind) {
      case "emit":
        // The payload goes as it was typed: JavaScript would round a long number.
        return `{"room":${JSON.stringify(room.trim())},"event":${JSON.stringify(event.trim())},"data":${data}}`;
      case "disconnect":
        return { socket: action.socket };
      case "revoke":
        return { subject: subject.trim(), room: room.trim() || null, reason: reason.trim() || null };
    }
  }

  const question = {
    emit: texts.emitAsk(event.trim(), room.trim()),
    disconnect: texts.disconnectAsk(action.kind === "disconnect" ? `#${action.socket}` : ""),
    revoke: texts.revokeAsk(subject.trim(), room.trim() || null),
  }[action.kind];
  const isDone = stage === "done";

  return (
    <dialog ref={dialog} aria-labelledby="action" onClose={() => close(isDone)}>
      <h2 id="action">{texts[action.kind]}</h2>
      {stage === "filling" && (
        <form onSubmit={fill}>
          {action.kind === "revoke" && (
            <Field name={texts.subject} value={subject} set={setSubject} isRequired />
          )}
          <Field name={action.kind === "emit" ? texts.roomName : texts.roomOrAll} value={room} set={setRoom} isRequired={action.kind === "emit"} />
          {action.kind === "emit" && (
            <>
              <Field name={texts.event} value={event} set={setEvent} isRequired />
              <label>
                {texts.json}
                <textarea rows={5} spellCheck={false} value={data} onChange={(changed) => setData(changed.target.value)} />
              </label>
            </>
          )}
          {action.kind === "revoke" && <Field name={texts.reason} value={reason} set={setReason} />}
          <Problem text={problem} />
          <p className="buttons">
            <button type="button" className="plain" onClick={() => dialog.current?.close()}>
              {texts.cancel}
            </button>
            <button type="submit">{texts.goAhead}</button>
          </p>
        </form>
      )}
      {(stage === "asking" || stage === "doing") && (
        <>
          <p className="question">{question}</p>
          <Problem text={problem} />
          <p className="buttons">
            <button type="button" className="plain" onClick={() => dialog.current?.close()}>
              {texts.cancel}
            </button>
            <button type="button" className="danger" aria-disabled={stage === "doing"} onClick={() => stage === "asking" && void act()}>
              {texts.yes}
            </button>
          </p>
        </>
      )}
      {isDone && (
        <>
          <p role="status">{{ emit: texts.emitDone, disconnect: texts.disconnectDone, revoke: texts.revokeDone }[action.kind]}</p>
          <p className="buttons">
            <button type="button" onClick={() => dialog.current?.close()}>
              {texts.close}
            </button>
          </p>
        </>
      )}
    </dialog>
  );
}

function Field(properties: { name: string; value: string; set: (value: string) => void; isRequired?: boolean }) {
  return (
    <label>
      {properties.name}
      <input
        value={properties.value}
        required={properties.isRequired ?? false}
        autoComplete="off"
        onChange={(changed) => properties.set(changed.target.value)}
      />
    </label>
  );
}

function Problem({ text }: { text: string | null }) {
  return text === null ? null : (
    <p className="problem" role="alert">
      {text}
    </p>
  );
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
