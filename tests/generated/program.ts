import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { env: Record<string, string> };

type Delivery = components["schemas"]["Delivery"];

const client = createClient<paths>({
  baseUrl: process.env.HOOKTIDE_SERVER,
  headers: { authorization: `Bearer ${process.env.HOOKTIDE_KEY}` },
});

function got<T>(answer: { data?: T; error?: components["schemas"]["Problem"] }): T {
  if (answer.data === undefined) throw new Error(answer.error?.detail);
  return answer.data;
}

got(await client.POST("/v1/accounts", { body: { project: "shop", reference: "ts" } }));
const bin = got(await client.POST("/v1/bins", { body: {} }));
const endpoint = got(
  await client.POST("/v1/endpoints", {
    body: { account: "ts", url: bin.url, event_types: ["*"] },
  }),
);
const accepted = got(
  await client.POST("/v1/events", {
    body: { account: "ts", type: "invoice.paid", payload: { id: 1 } },
  }),
);
if (!("id" in accepted) || accepted.id === undefined) throw new Error("the event has no id");
const listed = got(
  await client.GET("/v1/deliveries", { params: { query: { account: "ts", limit: 10 } } }),
);
const delivery: Delivery = listed.items[0];
const missing = await client.GET("/v1/events/{id}", { params: { path: { id: "evt_0" } } });
console.log(
  JSON.stringify({
    endpoint: delivery.endpoint === endpoint.id,
    event: delivery.event === accepted.id,
    created: Date.parse(delivery.created_at) > Date.parse("2025-01-01T00:00:00Z"),
    missing: missing.error?.type,
    requests: got(
      await client.GET("/v1/bins/{id}/requests", { params: { path: { id: bin.id } } }),
    ).next_cursor,
  }),
);
