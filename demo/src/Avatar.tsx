const HUES = 6;

/** A face for a contact: its colour is always the same. */
export function Avatar({ contactId }: { contactId: string }) {
  const hue = [...contactId].reduce((sum, character) => (sum * 31 + (character.codePointAt(0) ?? 0)) % 9973, 7) % HUES;
  return (
    <svg className="avatar" data-hue={hue} viewBox="0 0 40 40" aria-hidden="true">
      <circle cx="20" cy="20" r="20" />
      <path d="M20 9a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13Zm0 15.5c6.5 0 11 3 12 7.5a17 17 0 0 1-24 0c1-4.5 5.5-7.5 12-7.5Z" />
    </svg>
  );
}
