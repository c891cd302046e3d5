// Numbers, sizes and times as the visitor's language writes them.

import { locale, texts } from "./texts";

const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const date = new Intl.DateTimeFormat(locale, { dateStyle: "short", timeStyle: "medium" });

export const count = (number: number): string => whole.format(number);
export const share = (number: number): string => percent.format(number);

/** So many in a second; `without` where that is not known. */
export function rate(perSecond: number | null | undefined, without = texts.unknown): string {
  if (perSecond === null || perSecond === undefined) return without;
  return texts.perSecond((perSecond < 10 ? fine : whole).format(perSecond));
}

export function bytes(number: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [size, unit] = [number, 0];
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${(size < 10 && unit ? fine : whole).format(size)}\u00a0${units[unit]}`;
}

export function millis(ms: number): string {
  return ms < 1000 ? `${(ms < 10 ? fine : whole).format(ms)}\u00a0ms` : `${fine.format(ms / 1000)}\u00a0s`;
}

/** How long something has lasted, in its one or two largest units. */
export function lasting(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

/** The time of today, else with the date. */
export function timeOf(ms: number): string {
  const at = new Date(ms);
  return (at.toDateString() === new Date().toDateString() ? clock : date).format(at);
}

/**
 * How long a share of what was counted took at most, in milliseconds, as Prometheus reckons it: within a bucket evenly.
 * Infinity beyond the last bound; null where nothing was counted.
 */
export function quantile(share: number, boundsMs: number[], counts: number[], total: number): number | null {
  if (total <= 0) return null;
  const wanted = share * total;
  const at = counts.findIndex((count) => count >= wanted);
  if (at < 0) return Infinity;
  const [low, high] = [at ? (boundsMs[at - 1] ?? 0) : 0, boundsMs[at] ?? 0];
  const [before, upto] = [at ? (counts[at - 1] ?? 0) : 0, counts[at] ?? 0];
  return low + (high - low) * (upto > before ? (wanted - before) / (upto - before) : 1);
}
