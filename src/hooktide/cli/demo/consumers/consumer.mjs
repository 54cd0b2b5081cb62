// A webhook consumer in Node, written as the guides of InvoiceAhoy and House Check tell their
// readers: take the signature header, compute the HMAC of the payload, compare.
//
// node consumer.mjs HEADER — the secret comes on stdin, a line each time it changes. Prints
// {"listening": port}, then a JSON line for each webhook. Ends when stdin does.

import crypto from 'node:crypto'
import http from 'node:http'
import readline from 'node:readline'

const header = process.argv[2]
let secret

function isVerified(req, payload) {
  const signature = req.headers[header]
  const hash = crypto.createHmac('sha256', secret).update(payload).digest('hex')
  return hash === signature
}

function consume(req, payload) {
  const verified = secret !== undefined && isVerified(req, payload)
  const webhook = verified ? JSON.parse(payload) : {}
  const line = {
    verified,
    delivery: req.headers['webhook-id'] ?? '',
    type: webhook.type ?? '',
    id: webhook.id ?? webhook.payload?.id ?? '',
  }
  console.log(JSON.stringify(line))
  return verified
}

const server = http.createServer((req, res) => {
  const chunks = []
  req.on('data', (chunk) => chunks.push(chunk))
  req.on('end', () => {
    const verified = consume(req, Buffer.concat(chunks))
    res.writeHead(verified ? 200 : 401).end(verified ? 'OK' : 'Invalid signature')
  })
})

server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ listening: server.address().port }))
})

readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    secret = line
    console.log(JSON.stringify({ ready: true }))
  })
  .on('close', () => process.exit(0))
