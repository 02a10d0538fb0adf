// SPDX-License-Identifier: Apache-2.0
// Starts the dashboard.
import { App } from './app.ts';

new App();
