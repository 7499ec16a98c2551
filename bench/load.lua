-- One load for wrk: the same mix of users, movies and positions, as saves, as reads, or as either's noop.
-- Arguments after `--`: which load, and a file with one "token movie position" a line.

local loads = {
  ["save"]      = {method = "POST", path = "/api/v1/playback/movie/"},
  ["read"]      = {method = "GET",  path = "/api/v1/playback/movie/"},
  ["POST noop"] = {method = "POST", path = "/api/v1/noop"},
  ["GET noop"]  = {method = "GET",  path = "/api/v1/noop"},
}

local requests, place = {}, 0

-- Called once a thread, before the clock starts: requests are put together here, so that sending one is one look-up.
function init(arguments)
  local load = assert(loads[arguments[1]], "no such load")
  local is_noop = load.path:sub(-4) == "noop"
  local posts = load.method == "POST"
  for line in io.lines(arguments[2]) do
    local token, movie, position = line:match("(%S+) (%S+) (%S+)")
    requests[#requests + 1] = wrk.format(
      load.method,
      is_noop and load.path or load.path .. movie,
      {["Authorization"] = "Bearer " .. token, ["Content-Type"] = posts and "application/json" or nil},
      posts and '{"position_seconds": ' .. position .. ', "duration_seconds": 5400}' or nil
    )
  end
  math.randomseed(os.time())
  place = math.random(#requests)  -- so that runs do not all begin with the same movies
end

function request()
  place = place % #requests + 1
  return requests[place]
end

-- No `response` function: with one, wrk makes a Lua table of each answer's headers, and what that costs is taken from
-- the server. wrk itself counts every status over 399, and these routes answer with 200 or an error.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    "result %d %d %d %d %d\n",
    summary.requests,
    summary.duration,
    latency:percentile(50),
    latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
