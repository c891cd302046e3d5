import { useState } from "react";
import { playBot, reasonOf } from "./api";
import { texts } from "./texts";

/** Plays a bot: it types, replies, and the statuses follow. */
export function BotButton({ contactId, onProblem }: { contactId: string; onProblem: (problem: string | null) => void }) {
  const [isPlaying, setIsPlaying] = useState(false);

  async function play(): Promise<void> {
    // Not disabled: the button keeps the focus.
    if (isPlaying) return;
    setIsPlaying(true);
    onProblem(null);
    try {
      await playBot(contactId);
    } catch (error) {
      onProblem(texts.botFailed(reasonOf(error)));
    }
    setIsPlaying(false);
  }

  return (
    <button
      className="bot"
      type="button"
      aria-disabled={isPlaying}
      title={isPlaying ? texts.botPlays : texts.tryBot}
      onClick={() => void play()}
    >
      <svg viewBox="0 0 24 24" aria-hidden="true">
        <path d="M12 3v4M5 8h14v11H5zM9.5 12.5v2M14.5 12.5v2M2.5 12v4M21.5 12v4" />
      </svg>
      <span>{texts.tryBot}</span>
    </button>
  );
}
