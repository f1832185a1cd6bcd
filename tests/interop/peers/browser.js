// What a page does with one WebSocket: it sends back whatever comes, as it has come. After so many
// messages, if any are asked for, it closes. Returns what it has seen.
async (job) => {
  const socket = new WebSocket(job.url, job.protocols);
  socket.binaryType = job.binary;
  const seen = { extensions: null, protocol: null, kinds: [], errors: 0 };
  socket.onopen = () => {
    seen.extensions = socket.extensions;
    seen.protocol = socket.protocol;
  };
  socket.onmessage = ({ data }) => {
    seen.kinds.push(typeof data === "string" ? "string" : data.constructor.name);
    socket.send(data);
    if (job.close !== null && seen.kinds.length === job.messages) socket.close(...job.close);
  };
  socket.onerror = () => seen.errors++;
  const end = await new Promise((done) => (socket.onclose = done));
  return { ...seen, close: [end.code, end.reason, end.wasClean] };
}
