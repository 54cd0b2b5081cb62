-- Refused rows are counted for the metrics every few seconds, however many others wait.
CREATE INDEX emitted_refused ON hooktide.emitted (id) WHERE refused <> '';
