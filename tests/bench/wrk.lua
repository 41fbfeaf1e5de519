-- What wrk is told beside its options, and how it reports: `wrk ... URL -- [METHOD BODY_FILE]`, one JSON object at the end.
-- There is no function per request or per answer: those would cost the client more than the request itself.

function init(args)
    if args[1] then
        wrk.method = args[1]
        local file = assert(io.open(args[2], "rb"))
        wrk.body = file:read("*a")
        file:close()
        wrk.headers["Content-Type"] = "application/json"
    end
end

function done(summary, latency, requests)
    local wrong = summary.errors
    io.write(string.format(
        '\nresult {"requests": %d, "seconds": %.6f, "errors": %d, "p50_us": %.1f, "p99_us": %.1f}\n',
        summary.requests, summary.duration / 1e6,
        wrong.connect + wrong.read + wrong.write + wrong.status + wrong.timeout,
        latency:percentile(50), latency:percentile(99)))
end
