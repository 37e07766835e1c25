package hello;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.time.Duration;
import org.junit.Test;

public class MainTest {
    @Test
    public void greetsTheWorldAndSaysForHowLongItIsUp() {
        assertEquals("Hello, World! I have been up for 1 minute.", Main.greeting(Duration.ofMinutes(1)));
        assertEquals("Hello, World! I have been up for 120 minutes.", Main.greeting(Duration.ofHours(2)));
    }

    @Test
    public void answersWithItsStage() {
        assertTrue(Main.answer("test").contains("\\\"stage\\\": \\\"test\\\""));
    }
}
