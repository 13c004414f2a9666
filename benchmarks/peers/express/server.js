// The peer Express, as demos of server-sent events do it: an array of responses, a loop that writes.
//
//   node server.js 8900

const express = require("express");

const app = express();
app.use(express.json());
let clients = [];

app.get("/messages/stream/", (request, response) => {
  response.writeHead(200, {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    Connection: "keep-alive",
  });
  response.flushHeaders();
  clients.push(response);
  response.on("close", () => {
    clients = clients.filter((client) => client !== response);
  });
});

app.post("/send", (request, response) => {
  const event = `data: ${JSON.stringify(request.body)}\n\n`;
  clients.forEach((client) => client.write(event));
  response.status(204).end();
});

app.listen(Number(process.argv[2]), "127.0.0.1");
