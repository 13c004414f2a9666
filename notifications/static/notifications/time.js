/** Times and days in the page's language, by the reader's own clock, of which the server knows little. */

const MINUTE = 60_000; // ms
const { lang } = document.documentElement;
const words = new Intl.RelativeTimeFormat(lang, { numeric: "auto", style: "short" });
const exact = new Intl.DateTimeFormat(lang, { dateStyle: "full", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(lang, { timeStyle: "short" });

// What the server cannot know otherwise: so that without scripts, and at first sight, times are right.
document.cookie = `timezone=${exact.resolvedOptions().timeZone};path=/;max-age=31536000;samesite=lax`;

/** How long ago, for a day; then the date, or the time where a heading says the day. */
export function showTime(time, now = new Date(), isUnderDay = false) {
  const at = new Date(time.dateTime);
  const minutes = Math.max(0, Math.floor((now - at) / MINUTE));
  let text = isUnderDay ? clock.format(at) : date(at, now, { month: "short" });
  if (daysSince(at, now) < 1) {
    if (minutes < 1) text = words.format(0, "second");
    else if (minutes < 60) text = words.format(-minutes, "minute");
    else text = words.format(-Math.floor(minutes / 60), "hour");
  }
  if (time.textContent !== text) time.textContent = text;
  time.title = exact.format(at);
}

/** "today", "yesterday", or the date. */
export function dayOf(at, now = new Date()) {
  const days = daysSince(at, now);
  return days < 2 ? words.format(-days, "day") : date(at, now, { weekday: "long", month: "long" });
}

function daysSince(at, now) {
  const midnight = (time) => new Date(time).setHours(0, 0, 0, 0);
  return Math.max(0, Math.round((midnight(now) - midnight(at)) / (24 * 60 * MINUTE)));
}

function date(at, now, style) {
  const year = at.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return at.toLocaleDateString(lang, { day: "numeric", year, ...style });
}
