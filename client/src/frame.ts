/** Between two renderings, as a screen has it. */
const FRAME_MS = 16;

/**
 * Calls `changed` after the changes of something: at once, and then once a frame, so that a burst of a thousand events is not a thousand
 * renderings. Until the function that it returns is called.
 */
export function onFrames(source: { subscribe(subscriber: () => void): () => void }, changed: () => void): () => void {
  let frame: ReturnType<typeof setTimeout> | void;
  let nextAt = 0;
  const draw = () => {
    frame = undefined;
    nextAt = Date.now() + FRAME_MS;
    changed();
  };
  const unsubscribe = source.subscribe(() => (frame ??= Date.now() < nextAt ? setTimeout(draw, FRAME_MS) : draw()));
  return () => {
    unsubscribe();
    clearTimeout(frame!);
  };
}
