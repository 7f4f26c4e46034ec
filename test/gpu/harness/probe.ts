// A process of its own, so that asking cannot harm the tests: prints what an addon finds, as JSON.
import { loadRaw } from '../../native/raw-exchange.js';

const [path = ''] = process.argv.slice(2);
console.log(JSON.stringify(loadRaw(path).probe()));
