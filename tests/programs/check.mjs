// Runs the programs of the docs on cases: see programkit.py for what a line of the file is.
import fs from 'node:fs'
import path from 'node:path'

for (const line of fs.readFileSync(process.argv[2], 'utf8').trimEnd().split('\n')) {
  const [name, program, secret, body, headers] = line.split('\t')
  const { isVerified } = await import(path.resolve(program))
  const given = Object.fromEntries(headers.split(' ').filter(Boolean).map((pair) => {
    const [header, value] = pair.split(':')
    return [header.toLowerCase(), Buffer.from(value, 'base64').toString('latin1')]
  }))
  console.log(`${name}\t${isVerified(given, Buffer.from(body, 'base64'), secret)}`)
}
