-- Sends prepared requests in turn, as fast as they are answered or at most at a rate.
-- Arguments: the file of requests (a line with the length, then the bytes), requests a second (0: no cap).
local ffi = require("ffi")
ffi.cdef([[
typedef struct { long seconds; long nanoseconds; } bench_time;
int clock_gettime(int clock, bench_time *now);
]])

local CLOCK_MONOTONIC = 1
local requests, turn = {}, 0
local moment = ffi.new("bench_time")

local function milliseconds()
  ffi.C.clock_gettime(CLOCK_MONOTONIC, moment)
  return tonumber(moment.seconds) * 1000 + tonumber(moment.nanoseconds) / 1e6
end

local function read_requests(name)
  local file = assert(io.open(name, "rb"))
  for size in function() return file:read("*l") end do
    requests[#requests + 1] = file:read(tonumber(size))
  end
  file:close()
end

-- Every connection takes the next free place in one row of places, so that together they keep the rate.
local function cap(rate)
  local gap, place = 1000 / rate, 0
  function delay()
    local now = milliseconds()
    place = math.max(place + gap, now)
    return place - now
  end
end

function init(args)
  read_requests(args[1])
  local rate = tonumber(args[2])
  if rate > 0 then cap(rate) end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    'BENCH {"answers":%d,"refused":%d,"failed":%d,"p50":%d,"p99":%d}\n',
    summary.requests, errors.status, failed, latency:percentile(50), latency:percentile(99)))
end
