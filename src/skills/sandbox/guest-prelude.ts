/**
 * The only code of ours inside the sandbox. It runs before the skill, keeps its own references to what it uses, and talks
 * to the host in strings alone. Nothing here is a security boundary: a skill that breaks it breaks only its own run.
 */
export const GUEST_PRELUDE = `(host) => {
  "use strict";
  const { parse, stringify } = JSON;
  const { defineProperty } = Object;
  const { apply } = Reflect;
  const slice = String.prototype.slice;
  const GuestError = Error, GuestTypeError = TypeError, GuestPromise = Promise, text = String;
  const pending = { __proto__: null };

  function bounded(value, length) {
    return apply(slice, text(value), [0, length]);
  }

  function read(error, field, length) {
    try {
      const value = error[field];
      return value === undefined ? "" : bounded(value, length);
    } catch {
      return "";
    }
  }

  function describe(error) {
    const isObject = (typeof error === "object" && error !== null) || typeof error === "function";
    const report = { __proto__: null, name: "", message: "", code: "", stack: "", refused: "" };
    if (!isObject) {
      try { report.message = bounded(error, 2000); } catch { report.message = "a value without text"; }
      return stringify(report);
    }
    report.name = read(error, "name", 100);
    report.message = read(error, "message", 2000);
    report.code = read(error, "code", 40);
    report.stack = read(error, "stack", 8000);
    report.refused = read(error, "__call", 20);
    return stringify(report);
  }

  function logText(values) {
    let line = "";
    for (let index = 0; index < values.length; index += 1) {
      const value = values[index];
      const word = typeof value === "object" && value !== null ? stringify(value) : text(value);
      line += index === 0 ? word : " " + word;
    }
    return line;
  }

  const api = {
    callTool(server, tool, args) {
      const site = new GuestError("");
      return new GuestPromise((resolve, reject) => {
        if (typeof server !== "string" || typeof tool !== "string") {
          throw new GuestTypeError("callTool needs the name of a server and the name of a tool");
        }
        const json = stringify(args === undefined ? {} : args);
        if (typeof json !== "string" || json[0] !== "{") {
          throw new GuestTypeError("callTool needs an object of arguments");
        }
        const call = host("call", server, tool, json);
        if (call !== "") pending[call] = { __proto__: null, resolve, reject, site };
      });
    },
    log(...values) {
      host("log", logText(values));
    },
  };

  function settle(call, isOk, json) {
    const entry = pending[call];
    if (entry === undefined) return;
    delete pending[call];
    const value = parse(json);
    if (isOk === "1") return void entry.resolve(value);
    const error = new GuestError(value.message);
    const hidden = (name, content) =>
      defineProperty(error, name, { __proto__: null, value: content, writable: true, configurable: true });
    hidden("name", "ToolCallError");
    hidden("stack", entry.site.stack);
    hidden("__call", call);
    error.code = value.code;
    if (value.policies !== undefined) error.policies = value.policies;
    if (value.details !== undefined) error.details = value.details;
    entry.reject(error);
  }

  async function start(loading, input) {
    try {
      const skill = (await loading).default;
      if (typeof skill !== "function") return void host("shape");
      const output = stringify(await skill(parse(input), { callTool: api.callTool, log: api.log }));
      host("done", output === undefined ? "null" : output);
    } catch (error) {
      host("failed", describe(error));
    }
  }

  return { __proto__: null, start, settle };
}`;
