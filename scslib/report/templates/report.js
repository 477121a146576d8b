// The filter of the gallery. Its state is kept behind the # of the address, to be passed on.
const form = document.querySelector("#filter");
const entries = [...document.querySelectorAll(".entry")];

function filter() {
  const { label, answer } = form.elements;
  let shown = 0;
  for (const entry of entries) {
    const fits = (!label.value || entry.dataset.label === label.value)
      && (!answer.value || entry.dataset.answer === answer.value);
    entry.hidden = !fits;
    shown += fits;
    if (!fits) entry.querySelectorAll("video").forEach((video) => video.pause());
  }
  form.querySelector("output").value = `${shown} of ${entries.length} videos`;
}

function read() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  for (const name of ["label", "answer"]) {
    const field = form.elements[name], value = wanted.get(name);
    if (value === null) continue;
    const values = [...(field.options ?? field)].map((choice) => choice.value);
    if (values.includes(value)) field.value = value;
  }
  filter();
}

for (const [event, on] of [["play", true], ["pause", false]]) {
  addEventListener(event, ({ target }) => target.closest(".clip").classList.toggle("playing", on), true);
}

if (form) {
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", () => {
    filter();
    history.replaceState(null, "", `#${new URLSearchParams(new FormData(form))}`);
  });
  addEventListener("hashchange", read);
  read();
}
