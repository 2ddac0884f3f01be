import './deny-storage.js';
import '../../workers/host.worker.js';
