-- Money: whole numbers beyond what a double holds, as {high, low} with value = high * 10^9 + low and 0 <= low < 10^9.
local BASE = 1000000000
local floor, sub, format = math.floor, string.sub, string.format

local function made(high, low)
  local carry = floor(low / BASE)
  return { high + carry, low - carry * BASE }
end

local function money(text)
  if not text then return { 0, 0 } end
  if sub(text, 1, 1) == '-' then
    local m = money(sub(text, 2))
    return made(-m[1], -m[2])
  end
  local n = #text
  if n <= 9 then return { 0, tonumber(text) } end
  return { tonumber(sub(text, 1, n - 9)), tonumber(sub(text, n - 8)) }
end

local ZERO = { 0, 0 }
local function plus(a, b) return made(a[1] + b[1], a[2] + b[2]) end
local function minus(a, b) return made(a[1] - b[1], a[2] - b[2]) end
local function less(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end
local function most(a, b) if less(a, b) then return b end return a end
local function least(a, b) if less(b, a) then return b end return a end
-- By a small whole number; of amounts that are not negative.
local function times(a, n) return made(a[1] * n, a[2] * n) end
local function over(a, n)
  local high = floor(a[1] / n)
  return made(high, floor(((a[1] - high * n) * BASE + a[2]) / n))
end

-- As decimal text.
local function exact(a)
  if a[1] < 0 then
    local m = made(-a[1], -a[2])
    return '-' .. exact(m)
  end
  if a[1] == 0 then return format('%.0f', a[2]) end
  return format('%.0f%09.0f', a[1], a[2])
end

-- As decimal text, at most what an i64 holds.
local function text(a)
  if a[1] > 9223372036 or (a[1] == 9223372036 and a[2] > 854775807) then return '9223372036854775807' end
  return exact(a)
end

-- Whether decimal text a is more than b; also beyond doubles.
local function longer(a, b)
  if #a ~= #b then return #a > #b end
  return a > b
end

local function words(line)
  local all, n = {}, 0
  for word in string.gmatch(line, '%S+') do
    n = n + 1
    all[n] = word
  end
  return all
end
