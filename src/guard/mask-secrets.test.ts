import { assert, jsonValue, property } from "fast-check";
import { expect, test } from "vitest";
import { findSecretSpans, findSecrets, isPlaceholder } from "./find-secrets.ts";
import { isSecretName, maskSecrets, maskText } from "./mask-secrets.ts";

// Planted keys are put together at run time, so that no scanner takes this file for a leak.
const glue = (...parts: readonly string[]): string => parts.join("");
const BODY = "Zk3Qx9LmPq7Rt2Vw8Yb4Nc6Hd1Jf5Gs0AeUi";
const PLANTED: readonly (readonly [string, string])[] = [
  ["runlayer-key", glue("rl_", "org_", BODY)],
  ["runlayer-key", glue("rl_", "agent_", BODY)],
  ["runlayer-key", glue("rl_", "device_", BODY)],
  ["anthropic-key", glue("sk-", "ant-api03-", BODY)],
  ["openai-key", glue("sk-", "proj-", BODY)],
  ["github-token", glue("gh", "p_", BODY)],
  ["github-token", glue("github", "_pat_", BODY)],
  ["gitlab-token", glue("gl", "pat-", BODY)],
  ["slack-token", glue("xo", "xb-1234567890-", BODY)],
  ["aws-access-key-id", glue("AK", "IAQ3EGRZ2LMNOPQR56")],
  ["google-api-key", glue("AI", "za", BODY)],
  ["npm-token", glue("np", "m_", BODY)],
  ["jwt", glue("ey", "JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.", BODY)],
  ["private-key", glue("-----BEGIN RSA PRIV", "ATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----")],
];

test.each(PLANTED)("masks %s in text, in JSON and in a member name", (type, secret) => {
  expect(findSecretSpans(`use ${secret} now`).map((span) => span.type)).toEqual([type]);
  expect(maskText(`use ${secret} now`)).toBe(`use [masked:${type}] now`);
  const masked = JSON.stringify(maskSecrets({ list: [{ note: `x ${secret}` }], [secret]: 1 }));
  expect(masked).not.toContain(secret);
});

test.each([
  "password=hunter2hunter2",
  "https://api.example/?homepage=a&homepage_access_token=hunter2hunter2",
  "Authorization: Bearer hunter2hunter2",
  "postgres://user:hunter2hunter2@db.example/x",
  "https://api.example/v1?access_token=hunter2hunter2&x=1",
  '{"api_key": "hunter2hunter2"}',
  "mytool --api-key hunter2hunter2 --verbose",
  "export MY_SERVICE_TOKEN='hunter2hunter2'",
  "Cookie: session=hunter2hunter2; theme=dark",
  "curl -s -u admin:hunter2hunter2 https://api.example",
  "curl -sSu 'admin:hunter2hunter2' https://api.example",
  "curl -s \\\n  -X POST \\\r\n  --user=admin:hunter2hunter2 https://api.example",
  "curl\t--proxy-user admin:hunter2hunter2 https://api.example",
  'curl --cookie "session=hunter2hunter2" https://api.example',
  'document.cookie = "session=hunter2hunter2"',
  'mytool --password "hunter2hunter2"',
  'password: "correct horse hunter2"',
  "'password' => 'hunter2hunter2'",
  'password := "hunter2hunter2"',
  "if (token === 'hunter2hunter2') return",
  "export DB_PASS=hunter2hunter2",
  "db_pass = 'hunter2hunter2'",
  "Server=db;Uid=sa;Pwd=hunter2hunter2;",
  "<server><password>hunter2hunter2</password></server>",
  "curl -H 'Authorization: hunter2hunter2'",
  "CREATE USER ada WITH PASSWORD 'hunter2hunter2'",
  "postgres://user:p@hunter2@db.example/x",
  "Authorization: ApiKey hunter2hunter2",
  '{"X-Auth-Key": "hunter2hunter2"}',
  "mytool --api_key hunter2hunter2",
  String.raw`"{\"password\":\"hunter2hunter2\"}"`,
  "https://a.example/?next=https%3A%2F%2Fb.example%2F%3Ftoken%3Dhunter2hunter2",
])("masks the secret that stands in its usual place: %s", (text) => {
  expect(maskText(text)).not.toContain("hunter2");
});

test.each([
  glue("key", "-3ax6xnjp29jd6fds4gc373sgvjxteol0"),
  glue("re", "_9aB3xKq2_Zk3Qx9LmPq7Rt2Vw8Yb4"),
  glue("ctx7sk", "-550e8400-e29b-41d4-a716-446655440000"),
  glue("pat", "-na1-550e8400-e29b-41d4-a716-446655440000"),
  glue("glsa", "_Zk3Qx9LmPq7Rt2Vw8Yb4Nc6Hd1Jf5Gs0_0a1b2c3d"),
  glue("Basic ", "dXNlcjpwYXNzd29yZA=="),
  glue("token ", "abcdefabcdef1234"),
  glue("Bearer ", "my-internal-service-token"),
  glue("Authorization: Basic ", "dXNlcjpwYXNz"),
  glue("DB_PASSWORD=", "required!42"),
  glue("password: ", "'string#1!x'"),
  glue("API_KEY=", "optional.99"),
])("masks %s, whatever words look alike", (text) => {
  expect(maskText(text)).toContain("[masked:");
});

test.each([
  "curl http://acme-users.internal:8080/health",
  "curl -fsSL https://raw.example/foo-u/bar:latest",
  "curl --user-agent=Mozilla:5.0abc https://api.example",
  "we accept cookie banners and cookies = good",
  "items.map((token) => parseInt(token)).filter(token => process(token))",
  "if (token === request.headers.token || token == previous.token) token := os.Getenv()",
  'labels = { password: "Enter a good one", secret: "One for the hook" }',
  "a basic understanding of token authentication, bearer authorization and basic implementations.",
  "git checkout -b feature/re-enable-login-for-users-v2",
  "docs/key-concepts-in-distributed-systems-2024.md",
  "const fc_layer_weights_of_the_network_layer1 = 3",
  "interface A { accessToken: string; tokenType: number; secret?: boolean }",
  "if (token === undefined || apiKey === process.env.API_KEY) return",
  "fetch(url, { credentials: 'include' })",
  "f(token: string, secret: string[], apiKey?: string|null) => { password: string? } // password: required.",
  "max_tokens=100000 and token_count: 1234567, read by the secretary: Johnson",
  "https://api.example/items?limit=5&pageToken=CAESBkFCQ0RFRg&next_page_token=CAESBkFCQ0RFRg",
  "tokenizer=AutoTokenizer.from_pretrained('bert')",
  'console.log("token: " + value + " is here")',
  "Authorization: members of the team may read",
  "cd /srv/app && PWD=/srv/app make",
  "first_pass = results[0]; by_pass = compute()",
  "<token-list>nothing here yet</token-list>",
])("leaves alone what only looks like an option: %s", (text) => {
  expect(maskText(text)).toBe(text);
});

test("masks every text below a secret-named member and leaves counts and cursors", () => {
  const value = {
    password: "p",
    nested: { clientSecret: { value: "v" }, apiKey: ["a", "b"], pin: 1234 },
    max_tokens: 512,
    nextPageToken: "abc",
    tokens: 12,
    author: "ann",
  };
  expect(maskSecrets(value)).toEqual({
    password: "[masked:field]",
    nested: {
      clientSecret: { value: "[masked:field]" },
      apiKey: ["[masked:field]", "[masked:field]"],
      pin: "[masked:field]",
    },
    max_tokens: 512,
    nextPageToken: "abc",
    tokens: 12,
    author: "ann",
  });
});

test("masks the value of a pair and of an option whose name says that it is secret", () => {
  const value = {
    headers: [
      { name: "X-Api-Key", value: "hunter2" },
      { name: "Accept", value: "text/plain" },
    ],
    env: [{ key: "DB_PASSWORD", value: "hunter2" }],
    parameters: [{ Name: "DbPassword", Value: "hunter2" }],
    type: { element: "Password textbox", ref: "e12", text: "hunter2", submit: true },
    fill: { selector: "#login-password", value: "hunter2" },
    search: { element: "Search box", ref: "e3", text: "hats" },
    mail: { user: "ada", pass: "hunter2" },
    results: { pass: 12, fail: 3 },
    args: ["--password", "hunter2", "--token", "--verbose", "--max-tokens", "512"],
  };
  expect(maskSecrets(value)).toEqual({
    headers: [
      { name: "X-Api-Key", value: "[masked:field]" },
      { name: "Accept", value: "text/plain" },
    ],
    env: [{ key: "DB_PASSWORD", value: "[masked:field]" }],
    parameters: [{ Name: "DbPassword", Value: "[masked:field]" }],
    type: { element: "Password textbox", ref: "e12", text: "[masked:field]", submit: true },
    fill: { selector: "#login-password", value: "[masked:field]" },
    search: { element: "Search box", ref: "e3", text: "hats" },
    mail: { user: "ada", pass: "[masked:field]" },
    results: { pass: 12, fail: 3 },
    args: ["--password", "[masked:field]", "--token", "--verbose", "--max-tokens", "512"],
  });
});

test("masks Base64 of a text that holds a secret, and no other", () => {
  const encode = (text: string): string => Buffer.from(text).toString("base64");
  const secret = encode('DB_HOST=db\nDB_PASSWORD="hunter2hunter2"\n');
  expect(maskText(`data:text/plain;base64,${secret}`)).not.toContain(secret.slice(0, -4));
  const lines = encode(`${"# written by hand\n".repeat(12)}DB_PASSWORD="hunter2hunter2"\n`);
  for (const width of [64, 76])
    for (const lineEnd of ["\n", "\r\n"]) {
      const wrapped = lines.replace(new RegExp(`.{${width}}`, "g"), `$&${lineEnd}`);
      expect(maskText(`cat <<E\n${wrapped}\nE`)).toMatch(/^cat <<E\n\[masked:encoded\]=?\nE$/);
    }
  for (const text of [encode("the key point is that tokens are counted"), "/srv/projects/mail/releases/current/bin"])
    expect(maskText(text)).toBe(text);
});

test("gives back the same object when there is nothing to mask", () => {
  const value = { a: [1, "two", { b: null }], text: "the key point is that tokens are counted" };
  expect(maskSecrets(value)).toBe(value);
});

test("knows secret names from names that only sound like one", () => {
  expect(
    ["GITHUB_TOKEN", "api-key", "clientSecret", "Authorization", "DB_PASSWORD"].filter((name) => !isSecretName(name)),
  ).toEqual([]);
  expect(["token_count", "maxTokens", "author", "keyboard", "secret_name", "page_token"].filter(isSecretName)).toEqual(
    [],
  );
});

test("placeholders are no findings, and a finding never holds the secret", () => {
  expect(
    ["${TOKEN}", "<your-token>", "your_api_key_here", "xxxxxxxxxxxx", "$HOME"].filter((text) => !isPlaceholder(text)),
  ).toEqual([]);
  const secret = glue("gh", "p_", BODY);
  const [found] = findSecrets(`token ${secret}`, "org-key");
  expect(found).toMatchObject({ type: "github-token", length: secret.length });
  expect(JSON.stringify(found)).not.toContain(BODY.slice(0, 6));
  expect(findSecrets(secret, "other")[0]?.keyedHash).not.toBe(found?.keyedHash);
});

test("stays linear on hostile text", () => {
  const hostile = [
    "eyJ",
    "password",
    "://",
    "bearer ",
    "-----BEGIN PRIVATE KEY-----",
    "?token",
    "sk-",
    "--token ",
    "curl -u ",
    "curl ",
    "cookie:a",
    "cGFzc3dvcmQ9",
    "secret_",
    "pat-",
    "://a:",
    "<token>a",
    "re-a1-",
    "re-",
    'password="a1 ',
    "password='a b",
    "password 'a",
    "authorization: a",
    "curl \\\n -u",
    "page_token",
    `${"cGFzc3dvcmQ9".repeat(6)}aaaa\n`,
  ];
  for (const part of hostile) {
    const text = part.repeat(Math.ceil(400_000 / part.length));
    const startedAt = performance.now();
    maskText(text);
    expect(performance.now() - startedAt, part).toBeLessThan(1500);
  }
});

test("never throws on any JSON value", () => {
  assert(
    property(jsonValue(), (value) => {
      expect(() => JSON.stringify(maskSecrets(value))).not.toThrow();
    }),
    { numRuns: 300 },
  );
});

test.each([
  glue("AK", "IAQ3EGRBK7ZQ4XJ2LM"),
  glue("AI", "zaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY"),
  "aQ3xVb9Zr4Tn8Kp1Ws6Yd3",
  "Adm1n!Passw0rd#77",
  "mySup3rS3cret!77xQ",
  "theta9ZQ4xVb",
  "the-9ZQ4xVb7",
  "test1234",
])("takes %s for a secret, although it begins like a placeholder", (secret) => {
  expect(isPlaceholder(secret)).toBe(false);
});

test("takes words for words", () => {
  const words = [
    "my-token",
    "the secret",
    "change-me",
    "insert_here",
    "test",
    "a",
    "add-key",
    "XXX",
    "***",
    "[masked:x]",
  ];
  expect(words.filter((text) => !isPlaceholder(text))).toEqual([]);
});

test.each([
  ["token", { value: "hunter2" }],
  ["tokens", { github: "hunter2", deep: [{ gitlab: "hunter2" }] }],
  ["tokens", ["hunter2"]],
])("masks what stands below `%s`, in whatever form", (name, member) => {
  expect(JSON.stringify(maskSecrets({ [name]: member }))).not.toContain("hunter2");
});
