import { describe, expect, it } from "vitest";
import { redactJson } from "./redact-json.ts";

const GITHUB_TOKEN = `ghp_${"a1B2c3D4e5".repeat(4)}`;

describe("redactJson", () => {
  it("gives JSON without anything secret back as it is", () => {
    const json = '{"path": "/srv/mail", "lines": [1, 2.50, -0, 1e400, true, null], "größe": "ü"}';
    expect(redactJson(json, 256)).toEqual({ text: json, isCut: false });
    expect(redactJson("7", 256)).toEqual({ text: "7", isCut: false });
  });

  it("cuts long texts and keeps long names", () => {
    const json = `{"${"n".repeat(20)}" : "${"x".repeat(11)}","short":"${"y".repeat(10)}","list":["${"z".repeat(12)}"]}`;
    expect(redactJson(json, 10)).toEqual({
      text: `{"${"n".repeat(20)}" : "xxxxxxxxxx... (11 characters)","short":"yyyyyyyyyy","list":["zzzzzzzzzz... (12 characters)"]}`,
      isCut: true,
    });
  });

  it("does not cut a character in half", () => {
    expect(redactJson('"abc😀def"', 4)?.text).toBe('"abc\ufffd... (8 characters)"');
  });

  it.each([
    ["a key as a text", `{"note":"use ${GITHUB_TOKEN} for it"}`],
    ["a key as an item", `["a","${GITHUB_TOKEN}"]`],
    ["a key as a name", `{"${GITHUB_TOKEN}":1}`],
    ["a key beyond the cut", `{"note":"${"word ".repeat(100)}${GITHUB_TOKEN}"}`],
    ["a secret name", '{"password":"hunter2"}'],
    ["a secret name before blanks", '{"password"   :"hunter2"}'],
    ["a secret name of an object", '{"credentials":{"a":"b"}}'],
    ["a name that is secret for some values", '{"token":5}'],
    ["a value that another member may name", '{"name":"X-Api-Key","value":"hunter2"}'],
    ["a text that is typed into what another member names", '{"element":"Password box","text":"hunter2"}'],
    ["what may be a password or a count", '{"pass":"hunter2"}'],
    ["what an option is given", '["--password","hunter2"]'],
    ["Base64 of a secret", `["${Buffer.from("password=hunter2hunter2").toString("base64")}"]`],
    ["an escape", String.raw`{"pass\u0077ord":"hunter2"}`],
    ["a line end between members", '{"a":1,\n"b":2}'],
    ["a tab between members", '{"a":1,\t"b":2}'],
  ])("leaves %s to the thorough way", (_, json) => {
    expect(redactJson(json, 256)).toBeUndefined();
  });
});
