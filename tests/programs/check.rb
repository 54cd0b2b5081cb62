# Runs the programs of the docs on cases: see programkit.py for what a line of the file is.
programs = Hash.new do |known, path|
  program = Module.new
  load(path, program)
  known[path] = Object.new.extend(program)
end

File.foreach(ARGV[0], chomp: true) do |line|
  name, path, secret, body, headers = line.split("\t", -1)
  given = headers.split.to_h do |pair|
    header, value = pair.split(':')
    [header.downcase, value.to_s.unpack1('m')]
  end
  verified = programs[path].send(:verified?, given, body.unpack1('m'), secret)
  puts "#{name}\t#{verified}"
end
