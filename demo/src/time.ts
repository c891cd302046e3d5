// Times as the page shows them, in the visitor's time zone. A time that is none shows nothing.

import { useEffect, useState } from "react";
import { locale } from "./texts";

const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(locale, { weekday: "long" });
const shortDate = new Intl.DateTimeFormat(locale, { dateStyle: "short" });
const longDate = new Intl.DateTimeFormat(locale, { dateStyle: "full" });
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });

const CHECK_MS = 30_000;

/** A day as a number that grows by one a day; NaN for what is no time. */
export function dayOf(at: string | Date): number {
  const date = new Date(at);
  return Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000;
}

/** The present day: a page that stays open over midnight says "yesterday" in time. */
export function useToday(): number {
  const [today, setToday] = useState(() => dayOf(new Date()));
  useEffect(() => {
    const timer = setInterval(() => setToday(dayOf(new Date())), CHECK_MS);
    return () => clearInterval(timer);
  }, []);
  return today;
}

export function clockOf(at: string): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? "" : clock.format(date);
}

/** For the list: the time of today, "yesterday", the day of the week, the date. */
export function whenOf(at: string, today: number): string {
  const day = dayOf(at);
  if (Number.isNaN(day)) return "";
  if (day === today) return clockOf(at);
  if (day === today - 1) return relative.format(-1, "day");
  return (day < today && day > today - 7 ? weekday : shortDate).format(new Date(at));
}

/** For a day's heading: "today", "yesterday", the whole date. */
export function dayText(at: string, today: number): string {
  const day = dayOf(at);
  if (Number.isNaN(day)) return "";
  return day === today || day === today - 1 ? relative.format(day - today, "day") : longDate.format(new Date(at));
}
