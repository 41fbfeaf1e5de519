# The caching proxy in memory. Its backend, the static nginx, is asked once. @ORIGIN_PORT@ is filled in by peers.py.
vcl 4.1;

backend origin {
    .host = "127.0.0.1";
    .port = "@ORIGIN_PORT@";
}

sub vcl_backend_response {
    set beresp.ttl = 1h;
    set beresp.do_gzip = false;
}
