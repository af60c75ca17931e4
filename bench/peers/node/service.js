// A typical Node service for the same purpose as PeopleInfo: Fastify, ioredis and the AWS SDK v3, as a good developer writes it.
//
// It does what bench/peers/fastapi does: people in one DynamoDB table (by id, with an index by surname), and reads cached in Redis for a
// minute. Connections stay open, a cached response is sent without decoding, and Fastify validates and serializes by compiled schemas.
// It lacks the same guarantees: fresh searches, versions, prefixes, idempotency keys and fences.

import { randomUUID } from "node:crypto";
import { Agent } from "node:http";
import { DynamoDBClient, GetItemCommand, PutItemCommand, QueryCommand } from "@aws-sdk/client-dynamodb";
import Fastify from "fastify";
import Redis from "ioredis";

const TABLE = process.env.PEOPLE_TABLE;
const SURNAMES = "by_surname"; // the index
const TTL = 60;
const LIMIT = 100;
const JSON_TYPE = "application/json; charset=utf-8";

const httpAgent = new Agent({ keepAlive: true, maxSockets: 128 });
const dynamodb = new DynamoDBClient({ endpoint: process.env.AWS_ENDPOINT_URL, requestHandler: { httpAgent } });
const cache = new Redis(process.env.REDIS_URL);
const app = Fastify({ logger: false });

const name = { type: "string", minLength: 1, maxLength: 256, pattern: "\\S" };
const newPerson = {
  type: "object",
  required: ["person_name", "person_surname", "person_birthdate", "person_address"],
  properties: {
    person_name: name,
    person_surname: name,
    person_birthdate: { type: "string", format: "date" },
    person_address: { ...name, maxLength: 2000 },
  },
};
const person = {
  type: "object",
  properties: {
    ...newPerson.properties,
    person_id: { type: "string" },
    version: { type: "integer" },
    created_at: { type: "string" },
  },
};

app.post("/v1/people", { schema: { body: newPerson, response: { 201: person } } }, async (request, reply) => {
  const created = { ...request.body, person_id: randomUUID(), version: 1, created_at: new Date().toISOString() };
  await dynamodb.send(
    new PutItemCommand({
      TableName: TABLE,
      Item: toItem(created),
      ConditionExpression: "attribute_not_exists(person_id)",
    }),
  );
  await cache.del(surnameKey(created.person_surname));
  reply.code(201).header("location", `/v1/people/${created.person_id}`);
  return created;
});

app.get("/v1/people/:id", async (request, reply) => {
  const key = `person:${request.params.id}`;
  let body = await cache.get(key);
  if (body === null) {
    const found = await dynamodb.send(
      new GetItemCommand({ TableName: TABLE, Key: { person_id: { S: request.params.id } }, ConsistentRead: true }),
    );
    if (!found.Item) {
      return reply.code(404).send({ detail: "person not found" });
    }
    body = JSON.stringify(fromItem(found.Item));
    await cache.set(key, body, "EX", TTL);
  }
  return reply.type(JSON_TYPE).send(body);
});

const search = { type: "object", required: ["surname"], properties: { surname: name } };

app.get("/v1/people", { schema: { querystring: search } }, async (request, reply) => {
  const key = surnameKey(request.query.surname);
  let body = await cache.get(key);
  if (body === null) {
    const found = await dynamodb.send(
      new QueryCommand({
        TableName: TABLE,
        IndexName: SURNAMES,
        KeyConditionExpression: "surname_key = :surname",
        ExpressionAttributeValues: { ":surname": { S: folded(request.query.surname) } },
        Limit: LIMIT,
      }),
    );
    body = JSON.stringify({ people: found.Items.map(fromItem) });
    await cache.set(key, body, "EX", TTL);
  }
  return reply.type(JSON_TYPE).send(body);
});

function folded(surname) {
  return surname.trim().toLowerCase();
}

function surnameKey(surname) {
  return `surname:${folded(surname)}`;
}

function toItem({ version, ...members }) {
  const item = Object.fromEntries(Object.entries(members).map(([member, text]) => [member, { S: text }]));
  return { ...item, version: { N: String(version) }, surname_key: { S: folded(members.person_surname) } };
}

function fromItem({ version, surname_key, ...members }) {
  const texts = Object.fromEntries(Object.entries(members).map(([member, value]) => [member, value.S]));
  return { ...texts, version: Number(version.N) };
}

const address = await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT ?? 0) });
process.stderr.write(`serves on ${address}\n`);
process.on("SIGTERM", () => process.exit(0));
