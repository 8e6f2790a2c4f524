import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;

/** A server of MongoDB's wire protocol on the port that it is told; what it holds ends with its process. */
public class Server {
    public static void main(String[] arguments) throws InterruptedException {
        new MongoServer(new MemoryBackend()).bind("127.0.0.1", Integer.parseInt(arguments[0]));
        System.out.println("ready");
        Thread.currentThread().join();
    }
}
