-- http-request lua.gatehouse <namespace/route/rule> <headers>: lets the request through on a 200 only, with these headers of
-- the answer in place of the client's own. Any other answer goes to the client; no answer is a 403.

local gatehouse = 'http://127.0.0.1:9002/v1/haproxy/'

-- Headers about the connection and the body belong to the client's request, not to the question about it; the last ones
-- are what Gatehouse knows the original request by, so nobody else may send them.
local ours = {
  ['connection'] = true, ['keep-alive'] = true, ['proxy-connection'] = true, ['te'] = true, ['trailer'] = true,
  ['transfer-encoding'] = true, ['upgrade'] = true, ['content-length'] = true, ['expect'] = true, ['host'] = true,
  ['x-original-method'] = true, ['x-original-uri'] = true, ['x-original-host'] = true,
  ['x-forwarded-for'] = true, ['x-forwarded-proto'] = true,
}

local function question(txn)
  local headers = {}
  for name, values in pairs(txn.http:req_get_headers()) do
    if not ours[name] then
      headers[name] = {}
      for _, value in pairs(values) do table.insert(headers[name], value) end
    end
  end
  headers['host'] = {}
  for _, value in pairs(txn.http:req_get_headers()['host'] or {}) do table.insert(headers['host'], value) end
  headers['x-original-method'] = { txn.f:method() }
  headers['x-original-uri'] = { txn.f:pathq() }
  headers['x-forwarded-for'] = { txn.f:src() }
  headers['x-forwarded-proto'] = { txn.f:ssl_fc() == 1 and 'https' or 'http' }
  return headers
end

local function refuse(txn, status, headers, body)
  local reply = txn:reply({ status = status, body = body })
  for _, name in ipairs({ 'www-authenticate', 'location', 'content-type', 'cache-control' }) do
    for _, value in pairs((headers or {})[name] or {}) do reply:add_header(name, value) end
  end
  txn:done(reply)
end

local function check(txn, rule, names)
  local client = core.httpclient()
  local asked, answer = pcall(client.get, client, {
    url = gatehouse .. rule,
    headers = question(txn),
    timeout = 2000,
  })
  if not asked or answer == nil or answer.status ~= 200 then
    local status = asked and answer and answer.status or 0
    if status >= 300 and status < 500 then return refuse(txn, status, answer.headers, answer.body) end
    return refuse(txn, 403)
  end
  for name in string.gmatch(names, '[^,]+') do
    txn.http:req_del_header(name)
    local value = (answer.headers[name] or {})[0]
    if value ~= nil then txn.http:req_set_header(name, value) end
  end
end

core.register_action('gatehouse', { 'http-req' }, check, 2)
