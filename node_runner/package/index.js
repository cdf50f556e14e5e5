'use strict';

const { DeployError, ImageError, IntegrityError } = require('./lib/errors');
const { load } = require('./lib/node/load');

module.exports = { load, DeployError, ImageError, IntegrityError };
