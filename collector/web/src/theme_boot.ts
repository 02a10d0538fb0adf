// SPDX-License-Identifier: Apache-2.0
// Runs before the first paint, so that a page in the dark theme never flashes white.
import { applyTheme } from './theme.ts';

applyTheme();
