// Positions as text: as clocks show them, and as they are read out.
import { ngettext } from "../words.js";

export function clock(position) {
  const whole = Math.max(0, Math.floor(position || 0));
  const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

export function spoken(position) {
  const whole = Math.max(0, Math.floor(position || 0));
  const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const told = [
    hours && ngettext("%(num)s hour", "%(num)s hours", hours),
    minutes && ngettext("%(num)s minute", "%(num)s minutes", minutes),
    (seconds || whole === 0) && ngettext("%(num)s second", "%(num)s seconds", seconds),
  ];
  return told.filter(Boolean).join(" ");
}
