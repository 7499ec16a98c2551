// Texts of scripts in the language of the page. They are in English where they are used; the page's `data-words` has
// their translations: a text, or for a plural one text per category of numbers.

const { lang, dataset } = document.documentElement;
const words = JSON.parse(dataset.words ?? "{}");
const plural = new Intl.PluralRules(lang || "en");

// Return a text with `values` in place of `%(name)s`.
export function gettext(message, values = {}) {
  return fill(words[message] ?? message, values);
}

// Return a text in the plural form for a number; `%(num)s` is the number.
export function ngettext(one, many, number, values = {}) {
  const forms = words[one] ?? { one, other: many };
  return fill(forms[plural.select(number)] ?? forms.other, { num: number.toLocaleString(lang || "en"), ...values });
}

function fill(text, values) {
  return text.replace(/%\((\w+)\)s|%%/g, (found, name) => (name === undefined ? "%" : String(values[name])));
}
