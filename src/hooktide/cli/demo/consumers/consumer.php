<?php
// A webhook consumer in PHP, written as the guide of Offerte Adviseur tells its readers: take the
// signature header, compute the hash_hmac of the payload, compare with hash_equals.
//
// php consumer.php HEADER — the secret comes on stdin, a line each time it changes. Prints
// {"listening": port}, then a JSON line for each webhook. Ends when stdin does.

function is_verified(array $request, string $payload, string $secret, string $header): bool
{
    $signature = $request['headers'][$header] ?? '';
    $hash = hash_hmac('sha256', $payload, $secret);
    return hash_equals($hash, $signature);
}

function consume(array $request, string $payload, ?string $secret, string $header): bool
{
    $verified = $secret !== null && is_verified($request, $payload, $secret, $header);
    $webhook = $verified ? json_decode($payload, true) : [];
    say([
        'verified' => $verified,
        'delivery' => $request['headers']['webhook-id'] ?? '',
        'type' => $webhook['type'] ?? '',
        'id' => $webhook['id'] ?? '',
    ]);
    return $verified;
}

function read_request($connection): array
{
    $head = '';
    while (!str_ends_with($head, "\r\n\r\n") && ($line = fgets($connection)) !== false) {
        $head .= $line;
    }
    $headers = [];
    foreach (explode("\r\n", $head) as $line) {
        [$name, $value] = explode(':', $line, 2) + [1 => ''];
        $headers[strtolower($name)] = trim($value);
    }
    $length = (int) ($headers['content-length'] ?? 0);
    return [['headers' => $headers], $length ? stream_get_contents($connection, $length) : ''];
}

function answer($connection, ?string $secret, string $header): void
{
    stream_set_timeout($connection, 5);
    [$request, $payload] = read_request($connection);
    $verified = consume($request, $payload, $secret, $header);
    [$status, $body] = $verified ? ['200 OK', 'OK'] : ['401 Unauthorized', 'Invalid signature'];
    $length = strlen($body);
    fwrite($connection, "HTTP/1.1 $status\r\ncontent-length: $length\r\nconnection: close\r\n\r\n$body");
    fclose($connection);
}

function say(array $line): void
{
    fwrite(STDOUT, json_encode($line, JSON_UNESCAPED_SLASHES) . "\n");
}

$header = $argv[1];
$secret = null;
$server = stream_socket_server('tcp://127.0.0.1:0');
say(['listening' => (int) explode(':', stream_socket_get_name($server, false))[1]]);

while (true) {
    $ready = [STDIN, $server];
    $write = $except = null;
    stream_select($ready, $write, $except, null);
    if (in_array(STDIN, $ready, true)) {
        if (($line = fgets(STDIN)) === false) {
            exit(0);
        }
        $secret = trim($line);
        say(['ready' => true]);
    }
    if (in_array($server, $ready, true) && ($connection = stream_socket_accept($server, 0))) {
        answer($connection, $secret, $header);
    }
}
