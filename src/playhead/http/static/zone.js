// Tells the server the time zone of this browser. It counts only for users who have not chosen one.

for (const field of document.querySelectorAll("input[name=time_zone]")) {
  field.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
}
