// The strongest simple rival: Fastify and better-sqlite3, in one process and one thread, without a queue between them.
//
// `node server.js PORT FILE [group]` serves saving and reading the progress of movies by Playhead's contract: bearer
// tokens that are stored hashed, libraries that a user may or may not see, watched from 90 percent on. Token, item,
// access and progress are looked up at every request. Every answered save is durable: write-ahead log,
// synchronous=FULL; each save is a transaction of its own, or with `group` all that arrive in one iteration of the event loop
// share one.

import { hash } from 'node:crypto'
import Database from 'better-sqlite3'
import Fastify from 'fastify'

const WATCHED_PERCENT = 90
const MAX_SECONDS = 10_000_000
const [port, file, mode] = process.argv.slice(2)

const database = new Database(file)
for (const pragma of ['journal_mode = WAL', 'synchronous = FULL', 'foreign_keys = ON', 'busy_timeout = 5000']) {
  database.pragma(pragma)
}

const find = database
  .prepare(
    `SELECT token.user_id, item.id, library_access.user_id,
            position_seconds, duration_seconds, watched, last_watched_at
     FROM token
     LEFT JOIN item ON item.id = ?
     LEFT JOIN library_access
            ON library_access.user_id = token.user_id AND library_access.library_id = item.library_id
     LEFT JOIN progress ON progress.user_id = token.user_id AND progress.item_id = item.id
     WHERE token.hash = ?`
  )
  .raw()

const store = database.prepare(
  `INSERT INTO progress (user_id, item_id, position_seconds, duration_seconds, watched, last_watched_at)
   VALUES (?, ?, ?, ?, ?, ?)
   ON CONFLICT (user_id, item_id) DO UPDATE SET
     position_seconds = excluded.position_seconds, duration_seconds = excluded.duration_seconds,
     watched = excluded.watched, last_watched_at = excluded.last_watched_at`
)

class Refusal extends Error {
  constructor(statusCode, message) {
    super(message)
    this.statusCode = statusCode
  }
}

function look(request) {
  const authorization = request.headers.authorization ?? ''
  if (authorization.slice(0, 7).toLowerCase() !== 'bearer ') throw new Refusal(401, 'Not authenticated')
  const row = find.get(request.params.id, hash('sha256', authorization.slice(7)))
  if (row === undefined) throw new Refusal(401, 'Not authenticated')
  if (row[1] === null) throw new Refusal(404, 'Media item not found')
  if (row[2] === null) throw new Refusal(403, 'Access denied')
  return row
}

function answer(position, duration, watched, at) {
  return {
    position_seconds: position,
    duration_seconds: duration,
    completion_percentage: Math.round((position * 10_000) / duration) / 100,
    watched,
    last_watched_at: new Date(at).toISOString().slice(0, 19) + 'Z',
  }
}

function read(request) {
  const row = look(request)
  if (row[3] === null) {
    return { position_seconds: 0, duration_seconds: null, completion_percentage: 0, watched: false }
  }
  return answer(row[3], row[4], row[5] === 1, row[6])
}

// Within a transaction: what is found holds until it is stored.
function apply(request) {
  const row = look(request)
  const duration = request.body.duration_seconds
  const position = Math.min(request.body.position_seconds, duration)
  const watched = row[5] === 1 || position * 100 >= duration * WATCHED_PERCENT
  const at = Date.now()
  store.run(row[0], row[1], position, duration, watched ? 1 : 0, at)
  return answer(position, duration, watched, at)
}

const saveAlone = database.transaction(apply).immediate

let waiting = []

const applyAll = database.transaction((group) =>
  group.map(({ request }) => {
    try {
      return apply(request)
    } catch (error) {
      if (error instanceof Refusal) return error // one refused report does not harm the others
      throw error
    }
  })
).immediate

function commitGroup() {
  const group = waiting
  waiting = []
  let results
  try {
    results = applyAll(group)
  } catch (error) {
    for (const { reject } of group) reject(error)
    return
  }
  group.forEach(({ resolve, reject }, place) => {
    if (results[place] instanceof Refusal) reject(results[place])
    else resolve(results[place])
  })
}

function saveInGroup(request) {
  return new Promise((resolve, reject) => {
    if (waiting.length === 0) setImmediate(commitGroup)
    waiting.push({ request, resolve, reject })
  })
}

const body = {
  type: 'object',
  required: ['position_seconds', 'duration_seconds'],
  properties: {
    position_seconds: { type: 'number', minimum: 0, maximum: MAX_SECONDS },
    duration_seconds: { type: 'number', exclusiveMinimum: 0, maximum: MAX_SECONDS },
  },
}
const progress = {
  type: 'object',
  properties: {
    position_seconds: { type: 'number' },
    duration_seconds: { type: ['number', 'null'] },
    completion_percentage: { type: 'number' },
    watched: { type: 'boolean' },
    last_watched_at: { type: 'string' },
  },
}

const app = Fastify({ bodyLimit: 64 * 1024, ajv: { customOptions: { coerceTypes: false } } })
app.setErrorHandler((error, request, reply) => {
  if (error.validation) return reply.code(422).send({ error: 'Invalid data', details: error.validation })
  const status = error.statusCode ?? 500
  if (status >= 500) console.error(error)
  return reply.code(status).send({ error: status >= 500 ? 'Service unavailable' : error.message })
})
const path = '/api/v1/playback/movie/:id'
app.get(path, { schema: { response: { 200: progress } } }, async (request) => read(request))
app.post(
  path,
  { schema: { body, response: { 200: progress } } },
  mode === 'group' ? saveInGroup : async (request) => saveAlone(request)
)

process.once('SIGTERM', async () => {
  await app.close()
  database.close()
})
await app.listen({ host: '127.0.0.1', port: Number(port) })
