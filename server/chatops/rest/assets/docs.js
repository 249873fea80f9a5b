// Draws a form for each operation of the OpenAPI document, and sends what is typed into it.
"use strict";

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const start = async () => {
  const described = await (await fetch("/api/v1/openapi.json")).json();
  document.getElementById("about").textContent = described.info.description;
  const schemas = described.components.schemas;
  const sections = new Map();
  for (const [path, methods] of Object.entries(described.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags[0];
      if (!sections.has(tag)) sections.set(tag, make("section", {}, make("h2", {}, tag)));
      sections.get(tag).append(draw(method.toUpperCase(), path, operation, schemas));
    }
  }
  document.getElementById("operations").replaceChildren(...sections.values());
};

const draw = (method, path, operation, schemas) => {
  const fields = operation.parameters
    .filter((one) => one.in !== "header" && one.name !== "user_id")
    .map((one) => [one, make("input", { placeholder: hint(one) })]);
  const media = operation.requestBody?.content;
  const schema = media?.["application/json"]?.schema;
  const body = schema
    ? make("textarea", { rows: 8, spellcheck: false, value: example(schema, schemas) })
    : media && make("input", { type: "file", ariaLabel: "File" });
  const answer = make("pre", { hidden: true });
  const form = make("form", {}, ...fields.map(([one, input]) => make("label", {}, one.name, " ", input)));
  if (body) form.append(body);
  form.append(make("button", {}, "Send"), answer);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(method, path, fields, body, answer);
  });
  const title = make("summary", {}, make("code", {}, `${method} ${path}`), ` ${operation.summary}`);
  return make("details", {}, title, form);
};

const hint = (parameter) =>
  parameter.schema.enum?.join(" | ") ?? parameter.schema.default ?? parameter.description ?? "";

const example = (schema, schemas) => {
  const named = schemas[schema.$ref?.split("/").pop()] ?? schema;
  if (named.examples) return JSON.stringify(named.examples[0], null, 2);
  const required = (named.required ?? []).map((name) => [name, null]);
  return JSON.stringify(Object.fromEntries(required), null, 2);
};

const send = async (method, path, fields, body, answer) => {
  const query = new URLSearchParams();
  let place = path;
  for (const [one, input] of fields) {
    if (one.in === "path") place = place.replace(`{${one.name}}`, encodeURIComponent(input.value));
    else if (input.value) query.set(one.name, input.value);
  }
  const user = document.getElementById("user").value;
  if (user) query.set("user_id", user);
  answer.hidden = false;
  answer.textContent = "…";
  try {
    const response = await fetch(`${place}?${query}`, {
      method,
      headers: body && !body.files ? { "Content-Type": "application/json" } : {},
      body: body?.files ? body.files[0] : body?.value,
    });
    const type = response.headers.get("Content-Type") ?? "";
    const text = type.startsWith("image/") ? `(${type})` : await response.text();
    answer.textContent = `${response.status} ${response.statusText}\n\n${pretty(text, type)}`;
  } catch (error) {
    answer.textContent = String(error);
  }
};

const pretty = (text, type) =>
  type.startsWith("application/json") ? JSON.stringify(JSON.parse(text), null, 2) : text;

start();
