// The API key that a reader typed in. It is kept in this page's memory only, and gone when the page is.
const at = (id) => document.getElementById(id);
let key = "";

export const hasKey = () => key !== "";
export const withKey = (headers = {}) => (key ? { ...headers, Authorization: `Bearer ${key}` } : headers);

// Fetches; where a key is wanted, asks for one until the service takes it.
export async function fetchWithKey(address, options = {}) {
  for (;;) {
    const response = await fetch(address, { ...options, headers: withKey(options.headers) });
    if (response.status !== 401) return response;
    await askForKey(await response.json());
  }
}

function askForKey(refused) {
  const form = at("key-form");
  form.hidden = false;
  at("key-problem").textContent = key ? refused.problem : "";
  at("api-key").focus();
  return new Promise((typed) => {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      key = at("api-key").value.trim();
      at("api-key").value = "";
      form.hidden = true;
      typed();
    }, { once: true });
  });
}
