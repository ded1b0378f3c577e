// The words of the page: they come from the server in a JSON block, never from here.
const words = JSON.parse(document.getElementById("strings").textContent);

export function t(key, values = {}) {
  const text = words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
