// The peer that is Node's `ws`. See interop_common.py for what a peer does.
//
// A message goes out in fragments of bytes, so that characters are cut, too.

"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const readline = require("node:readline");
const { once } = require("node:events");

// Installed in a folder of its own, not beside this file.
const { createRequire } = require("node:module");
const [certificate, authority, installed] = process.argv.slice(2);
const requireInstalled = createRequire(installed + "/");
const { WebSocket, WebSocketServer } = requireInstalled("ws");
const { version } = requireInstalled("ws/package.json");

const SUBPROTOCOL = "chat.v2";
const TEXT = Buffer.from("aé€😀");
const BINARY = Buffer.from([...Array(251).keys()]);

const say = (entry) => process.stdout.write(JSON.stringify(entry) + "\n");

function payload([kind, size]) {
  if (kind === "binary") return Buffer.alloc(size, BINARY);
  const whole = size - (size % TEXT.length);
  return Buffer.concat([Buffer.alloc(whole, TEXT), Buffer.alloc(size - whole, ".")]);
}

function digest(data, isBinary) {
  const hash = crypto.createHash("sha256").update(data).digest("hex");
  return [isBinary ? "binary" : "text", data.length, hash];
}

const send = (ws, data, binary) => ws.send(data, { binary });

function fragments(ws, data, binary) {
  const third = Math.floor(data.length / 3);
  ws.send(data.subarray(0, third), { binary, fin: false });
  ws.send(data.subarray(third, third), { binary, fin: false });
  ws.send(data.subarray(third, 2 * third), { binary, fin: false });
  ws.send(data.subarray(2 * third), { binary, fin: true });
}

// Cuts characters; pings between the pieces, of which some are empty.
function ragged(ws, data, binary) {
  const size = data.length;
  const fifth = Math.floor(size / 5);
  const most = Math.floor((3 * size) / 5);
  const ends = [Math.min(1, size), fifth, fifth, most, Math.max(0, size - 1), size];
  let start = 0;
  for (const end of ends.sort((a, b) => a - b)) {
    ws.send(data.subarray(start, end), { binary, fin: false });
    ws.ping();
    start = end;
  }
  ws.send(Buffer.alloc(0), { binary, fin: true });
}

async function pings(ws, data, binary) {
  const expected = String(data.length);
  ws.ping(expected);
  const [pong] = await once(ws, "pong");
  if (pong.toString() !== expected) throw new Error(`not the pong: ${pong}`);
  send(ws, data, binary);
}

const close = (ws, data) => ws.close(...JSON.parse(data));

const ANSWERS = {
  "/echo": send,
  "/fragments": fragments,
  "/ragged": ragged,
  "/pings": pings,
  "/close": close,
};
const WAYS = { whole: send, fragments, pings };

// What it believes was agreed on for compression.
function idea(ws) {
  const agreed = ws._extensions["permessage-deflate"];
  if (!agreed) return null;
  const of = (side) => [
    agreed.params[`${side}_max_window_bits`] || 15,
    !agreed.params[`${side}_no_context_takeover`],
  ];
  return agreed._isServer
    ? { sends: of("server"), reads: of("client") }
    : { sends: of("client"), reads: of("server") };
}

// Answers all messages, and reports at the end.
function answerAll(ws, path, report) {
  const received = [];
  ws.on("message", (data, isBinary) => {
    received.push(digest(data, isBinary));
    ANSWERS[path](ws, data, isBinary);
  });
  ws.on("close", (code, reason) => {
    say({
      ...report,
      subprotocol: ws.protocol || null,
      extensions: ws.extensions,
      deflate: idea(ws),
      received,
      close: [code, reason.toString()],
    });
  });
}

function handle(ws, request) {
  const { pathname, searchParams } = new URL(request.url, "http://host");
  const token = searchParams.get("token");
  ws.on("error", (error) => say({ token, error: String(error.stack) }));
  answerAll(ws, pathname, { token, path: pathname, headers: request.headers });
}

// How to compress: the library's options, false for not at all, null for what is usual here.
const orUsual = (compression) => (compression === null ? true : compression);

// Takes over a connection of the HTTP server, with options of its own.
function upgrade(request, socket, head) {
  const { searchParams } = new URL(request.url, "http://host");
  new WebSocketServer({
    noServer: true,
    perMessageDeflate: orUsual(JSON.parse(searchParams.get("compression") ?? "null")),
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  }).handleUpgrade(request, socket, head, handle);
}

async function serve() {
  const tls = { key: fs.readFileSync(certificate), cert: fs.readFileSync(certificate) };
  const ports = {};
  for (const host of ["127.0.0.1", "::1"]) {
    for (const scheme of ["ws", "wss"]) {
      const server = scheme === "ws" ? http.createServer() : https.createServer(tls);
      server.on("upgrade", upgrade);
      try {
        server.listen(0, host);
        await once(server, "listening");
      } catch (error) {
        if (host === "127.0.0.1") throw error;
        continue; // the system has no IPv6
      }
      ports[`${scheme} ${host}`] = server.address().port;
    }
  }
  say({ version: `ws ${version} (Node ${process.version})`, ports });
}

async function run(job) {
  const ws = new WebSocket(job.url, job.subprotocols || [], {
    ca: fs.readFileSync(authority),
    headers: job.headers,
    perMessageDeflate: orUsual(job.compression),
  });
  const closed = once(ws, "close");
  closed.catch(() => {}); // the same error keeps it from opening, or comes again below
  if (!job.messages) answerAll(ws, `/${job.way}`, { token: job.token });
  await once(ws, "open");
  if (!job.messages) {
    await closed;
    return;
  }
  const received = [];
  for (const message of job.messages) {
    const answered = once(ws, "message");
    WAYS[job.way](ws, payload(message), message[0] === "binary");
    received.push(digest(...(await answered)));
  }
  if (job.close) ws.close(...job.close);
  const [code, reason] = await closed;
  say({
    token: job.token,
    subprotocol: ws.protocol || null,
    extensions: ws.extensions,
    received,
    close: [code, reason.toString()],
  });
}

async function main() {
  await serve();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const job = JSON.parse(line);
    await run(job).catch((error) => say({ token: job.token, error: String(error.stack) }));
  }
  process.exit(0);
}

main();
