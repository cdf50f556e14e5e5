'use strict';

/**
 * Bounds how many connections one address may have: whoever opens more finds them closed, and others are answered.
 *
 * @param {import('http').Server} server
 * @param {number} most for each address
 * @returns {() => number} how many were closed so far
 */
function limitConnections(server, most) {
  /** @type {Map<string, number>} */
  const open = new Map();
  let refused = 0;
  server.on('connection', (socket) => {
    const address = socket.remoteAddress ?? '';
    const count = open.get(address) ?? 0;
    if (count >= most) {
      refused += 1;
      socket.destroy();
      return;
    }
    open.set(address, count + 1);
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left > 0) open.set(address, left);
      else open.delete(address);
    });
  });
  return () => refused;
}

module.exports = { limitConnections };
