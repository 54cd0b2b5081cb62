<?php
// Runs a program of the docs on its cases: see programkit.py for what a line of the file is.
require $argv[2];

foreach (file($argv[1], FILE_IGNORE_NEW_LINES) as $line) {
    [$name, $program, $secret, $body, $headers] = explode("\t", $line);
    if ($program !== $argv[2]) {
        continue;
    }
    $given = [];
    foreach (array_filter(explode(' ', $headers)) as $pair) {
        [$header, $value] = explode(':', $pair);
        $given[strtolower($header)] = base64_decode($value);
    }
    echo $name, "\t", is_verified($given, base64_decode($body), $secret) ? 'true' : 'false', "\n";
}
