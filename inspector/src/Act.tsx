import { useState } from "react";
import { ActionDialog, type Action } from "./ActionDialog";
import { texts } from "./texts";

/** Buttons for what may be changed here; where nothing may be, what lets it. */
export function Act({ write, actions, done }: { write: boolean; actions: Action[]; done?: () => void }) {
  const [open, setOpen] = useState<Action | null>(null);
  return (
    <section className="act" aria-label={texts.actions}>
      {write ? (
        actions.map((action) => (
          <button key={action.kind} type="button" onClick={() => setOpen(action)}>
            {texts[action.kind]}
          </button>
        ))
      ) : (
        <p className="quiet-line">{texts.actionsOff}</p>
      )}
      {open && (
        <ActionDialog
          action={open}
          close={(wasDone) => {
            setOpen(null);
            if (wasDone) done?.();
          }}
        />
      )}
    </section>
  );
}
