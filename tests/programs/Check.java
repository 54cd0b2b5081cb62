import java.io.File;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import javax.tools.ToolProvider;

/** Runs the programs of the docs on cases: see programkit.py for what a line of the file is. */
public final class Check {
    public static void main(String[] arguments) throws Exception {
        Map<String, Method> programs = new HashMap<>();
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] fields = line.split("\t", -1);
            if (!programs.containsKey(fields[1])) {
                programs.put(fields[1], compiled(fields[1]));
            }
            Map<String, String> given = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
            for (String pair : fields[4].split(" ")) {
                int colon = pair.indexOf(':');
                if (colon > 0) {
                    byte[] value = Base64.getDecoder().decode(pair.substring(colon + 1));
                    given.put(pair.substring(0, colon), new String(value, StandardCharsets.ISO_8859_1));
                }
            }
            UnaryOperator<String> header = given::get;
            byte[] body = Base64.getDecoder().decode(fields[3]);
            Object verified = programs.get(fields[1]).invoke(null, header, body, fields[2]);
            System.out.println(fields[0] + "\t" + verified);
        }
    }

    private static Method compiled(String program) throws Exception {
        int failed = ToolProvider.getSystemJavaCompiler().run(null, null, null, "-Xlint:all", "-Werror", program);
        if (failed != 0) {
            throw new IllegalStateException(program);
        }
        URL folder = new File(program).getAbsoluteFile().getParentFile().toURI().toURL();
        Class<?> found = new URLClassLoader(new URL[] {folder}).loadClass("Verify");
        return found.getMethod("isVerified", UnaryOperator.class, byte[].class, String.class);
    }
}
