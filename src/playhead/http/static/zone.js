// Tells the server in which time zone this browser lives. It counts only for who has not chosen one.

for (const field of document.querySelectorAll("input[name=time_zone]")) {
  field.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
}
