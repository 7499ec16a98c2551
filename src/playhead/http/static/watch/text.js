// How the player says positions: as clocks show them, and as they are read out.

export function clock(position) {
  const whole = Math.max(0, Math.floor(position || 0));
  const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

export function spoken(position) {
  const whole = Math.max(0, Math.floor(position || 0));
  const told = [
    [Math.floor(whole / 3600), "hour"],
    [Math.floor(whole / 60) % 60, "minute"],
    [whole % 60, "second"],
  ].filter(([number]) => number);
  return told.map(([number, unit]) => `${number} ${unit}${number === 1 ? "" : "s"}`).join(" ") || "0 seconds";
}
